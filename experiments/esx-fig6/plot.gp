# Sampled active memory under a toucher. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig6.gp > esx-fig6.svg
#   gnuplot -e "format='png'" esx-fig6.gp > esx-fig6.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig6.csv"

set title "What sampling 100 pages per 30 s says of a program’s memory (Waldspurger 2002, Fig. 6)" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 40]
set yrange [0 : 320]
set ytics 50
set xlabel "minutes"
set ylabel "MB"
set key top right Left reverse samplen 2.5
set label 1 "Band: the estimate of 12 seeds, least to most. The schedule and that the guest zeroes freed pages at 27.6 min are inputs." \
	at screen 0.985,0.02 right font ",11"
set bmargin 5.5

# Okabe and Ito's colours.
plot rows using 1:7:8 skip 1 with filledcurves fillcolor rgb "#56B4E9" fillstyle solid 0.3 noborder title "estimate, all seeds", \
	rows using 1:2 skip 1 with steps linecolor rgb "#909090" linewidth 1.5 title "touched by the program", \
	rows using 1:3 skip 1 with steps linecolor rgb "#009E73" linewidth 1.2 dashtype 2 title "slow average, seed 1", \
	rows using 1:5 skip 1 with steps linecolor rgb "#0072B2" linewidth 2.2 title "estimate, seed 1", \
	rows using 1:11 skip 1 with steps linecolor rgb "#D55E00" linewidth 1.6 title "the paper’s estimate"
