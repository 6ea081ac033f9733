# Time to give 128 MB and to have them back. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" balloon-race.gp > balloon-race.svg
#   gnuplot -e "format='png'" balloon-race.gp > balloon-race.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,520 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1080,624 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "balloon-race.csv"
of(way) = sprintf("< awk -F, '$2 == \"%s\"' %s", way, rows)

set title "128 MB of a Linux guest: median of three, least and most" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set logscale y
set yrange [1 : 5000]
set ylabel "ms"
set xrange [-0.6 : 3.6]
set xtics ("interrupts,\ninit\\_on\\_alloc=0" 0, "interrupts,\npages cleared" 1, "polled,\ninit\\_on\\_alloc=0" 2, "polled,\npages cleared" 3)
set boxwidth 0.18
set style fill solid 0.85 noborder
set errorbars 1
set key inside top center horizontal samplen 1.5
set bmargin 4

plot of("give") using ($0 - 0.3):3 with boxes linecolor rgb "#0072B2" title "given: ballast", \
	of("virtio-give") using ($0 - 0.1):3 with boxes linecolor rgb "#D55E00" title "virtio-balloon", \
	of("take") using ($0 + 0.1):3 with boxes linecolor rgb "#56B4E9" title "taken back: ballast", \
	of("virtio-take") using ($0 + 0.3):3 with boxes linecolor rgb "#E69F00" title "virtio-balloon", \
	of("give") using ($0 - 0.3):3:4:5 with yerrorbars pointtype 0 linecolor rgb "black" notitle, \
	of("virtio-give") using ($0 - 0.1):3:4:5 with yerrorbars pointtype 0 linecolor rgb "black" notitle, \
	of("take") using ($0 + 0.1):3:4:5 with yerrorbars pointtype 0 linecolor rgb "black" notitle, \
	of("virtio-take") using ($0 + 0.3):3:4:5 with yerrorbars pointtype 0 linecolor rgb "black" notitle
