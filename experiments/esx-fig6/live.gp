# Sampled active memory of a real Linux under a toucher. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig6-live.gp > esx-fig6-live.svg
#   gnuplot -e "format='png'" esx-fig6-live.gp > esx-fig6-live.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig6-live.csv"

set title "Live: what sampling 100 pages per 1.5 s says of a Linux guest’s memory" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 120]
set yrange [0 : 160]
set ytics 25
set xlabel "seconds"
set ylabel "MB"
set key top right Left reverse samplen 2.5
set label 1 "A Linux of 192 MB in QEMU, measured. The schedule is an input; the paper’s curve (Waldspurger 2002, Fig. 6) is at 0.4 of its memory, 3 s a minute." \
	at screen 0.985,0.02 right font ",11"
set bmargin 5.5

# Okabe and Ito's colours.
plot rows using 1:3 skip 1 with steps linecolor rgb "#909090" linewidth 1.5 title "touched by the program", \
	rows using 1:4 skip 1 with steps linecolor rgb "#009E73" linewidth 1.2 dashtype 2 title "slow average", \
	rows using 1:5 skip 1 with steps linecolor rgb "#56B4E9" linewidth 1.2 title "fast average", \
	rows using 1:6 skip 1 with steps linecolor rgb "#0072B2" linewidth 2.2 title "estimate, live", \
	rows using ($2 <= 27.4 ? $1 : NaN):8 skip 1 with steps linecolor rgb "#D55E00" linewidth 1.6 title "the paper’s estimate, scaled"
