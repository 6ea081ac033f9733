# What a guest holds, with and without hints of its free pages. To change the figure, edit this and
# draw it again:
#
#   gnuplot -e "format='svg'" free-hints.gp > free-hints.svg
#   gnuplot -e "format='png'" free-hints.gp > free-hints.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,520 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1080,624 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "free-hints.csv"

set title "Memory that a guest holds whose programs come and go, by the rate of its hints" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 10]
set yrange [0 : 280]
set xlabel "minutes"
set ylabel "MB"
set key outside bottom center horizontal samplen 2.5

plot rows using 1:2 skip 1 with lines linecolor rgb "#606060" linewidth 2 title "no hints", \
	rows using 1:3 skip 1 with lines linecolor rgb "#E69F00" linewidth 2 title "4 MB/s", \
	rows using 1:4 skip 1 with lines linecolor rgb "#0072B2" linewidth 2 title "16 MB/s", \
	rows using 1:5 skip 1 with lines linecolor rgb "#009E73" linewidth 2 title "64 MB/s"
