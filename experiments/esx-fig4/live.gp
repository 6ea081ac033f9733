# Sharing by 1 to 4 real Linux guests. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig4-live.gp > esx-fig4-live.svg
#   gnuplot -e "format='png'" esx-fig4-live.gp > esx-fig4-live.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1080,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig4-live.csv"

set title "Live: memory that 1 to 4 identical Linux guests share" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0.8 : 4.2]
set yrange [0 : 100]
set xtics 1
set ytics 20
set xlabel "number of guests"
set ylabel "% of the guests’ memory"
set key top left Left reverse samplen 2.5
set label 1 "Lines: Linux guests of 112 MB in QEMU, idle, measured. Circles: the paper’s, which worked (Waldspurger 2002, Fig. 4)." \
	at screen 0.985,0.02 right font ",11"
set bmargin 5.5

# Okabe and Ito's colours.
plot rows using 1:6 skip 1 with linespoints linecolor rgb "#0072B2" linewidth 2 pointtype 7 pointsize 0.6 title "shared", \
	rows using 1:7 skip 1 with linespoints linecolor rgb "#D55E00" linewidth 2 pointtype 7 pointsize 0.6 title "reclaimed", \
	rows using 1:8 skip 1 with linespoints linecolor rgb "#009E73" linewidth 2 pointtype 7 pointsize 0.6 title "shared − reclaimed", \
	rows using 1:9 skip 1 with points linecolor rgb "#0072B2" pointtype 6 pointsize 1.3 notitle, \
	rows using 1:10 skip 1 with points linecolor rgb "#D55E00" pointtype 6 pointsize 1.3 notitle, \
	rows using 1:11 skip 1 with points linecolor rgb "#009E73" pointtype 6 pointsize 1.3 notitle
