# Copies through the bounce buffer. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-ioremap.gp > esx-ioremap.svg
#   gnuplot -e "format='png'" esx-ioremap.gp > esx-ioremap.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1080,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-ioremap.csv"
of(variant) = sprintf("< awk -F, '$1 == \"%s\"' %s", variant, rows)

set title "Pages copied for a device that cannot address them, in all" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set logscale y
set format y "10^{%L}"
set xrange [0 : 100]
set yrange [100 : 3e7]
set xlabel "seconds (10,000 packets each)"
set ylabel "copies"
set key top left Left reverse samplen 2.5
set label 1 "Our own loads: the paper gives no number." at screen 0.985,0.025 right font ",11"
set bmargin 4.5

# Okabe and Ito's colours.
plot of("off") using 6:7 with lines linecolor rgb "#D55E00" linewidth 2 title "without remapping", \
	of("on 64") using 6:7 with lines linecolor rgb "#0072B2" linewidth 1.2 dashtype 2 title "a page moves after 64 copies", \
	of("on 16") using 6:7 with lines linecolor rgb "#0072B2" linewidth 2 title "after 16", \
	of("on 4") using 6:7 with lines linecolor rgb "#0072B2" linewidth 1.2 dashtype 3 title "after 4", \
	of("full") using 6:7 with lines linecolor rgb "#009E73" linewidth 2 title "after 16, low memory full", \
	of("wide") using 6:7 with lines linecolor rgb "#CC79A7" linewidth 2 dashtype 2 title "after 16, a ring larger than low memory"
