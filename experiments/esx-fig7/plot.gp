# Two VMs before and after a tax on idle memory. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig7.gp > esx-fig7.svg
#   gnuplot -e "format='png'" esx-fig7.gp > esx-fig7.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig7.csv"

set title "What a tax on idle memory moves from an idle VM to a busy one (Waldspurger 2002, Fig. 7)" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 60]
set yrange [0 : 280]
set ytics 50
set xlabel "minutes"
set ylabel "MB"
set key outside bottom center horizontal maxrows 2 samplen 2.5
set arrow 1 from 31,0 to 31,265 nohead linecolor rgb "#909090" dashtype 3
set label 1 "tax 75 %" at 31.3,272 font ",11" textcolor rgb "#606060"

# Okabe and Ito's colours: blue the idle VM, vermilion the busy one; thin the paper's.
plot rows using 1:8 skip 1 with lines linecolor rgb "#56B4E9" linewidth 4 title "VM1 allocated, paper", \
	rows using 1:10 skip 1 with lines linecolor rgb "#E69F00" linewidth 4 title "VM2 allocated, paper", \
	rows using 1:2 skip 1 with lines linecolor rgb "#0072B2" linewidth 2 title "VM1 allocated, ours", \
	rows using 1:4 skip 1 with lines linecolor rgb "#D55E00" linewidth 2 title "VM2 allocated, ours", \
	rows using 1:9 skip 1 with lines linecolor rgb "#56B4E9" linewidth 1 dashtype 2 title "VM1 used, paper", \
	rows using 1:11 skip 1 with lines linecolor rgb "#E69F00" linewidth 1 dashtype 2 title "VM2 used, paper", \
	rows using 1:3 skip 1 with lines linecolor rgb "#0072B2" linewidth 1 dashtype 2 title "VM1 used, ours", \
	rows using 1:5 skip 1 with lines linecolor rgb "#D55E00" linewidth 1 dashtype 2 title "VM2 used, ours"
