# What a tax on idle memory gives and takes. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" tax-sweep.gp > tax-sweep.svg
#   gnuplot -e "format='png'" tax-sweep.gp > tax-sweep.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1080,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "tax-sweep.csv"

set title "An idle and a busy VM of equal shares, by the tax on idle memory" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 11 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 100]
set yrange [0 : 300]
set y2range [0 : *]
set y2tics
set xlabel "tax, %"
set ylabel "MB"
set y2label "MB/s of the busy VM"
set key outside bottom center horizontal samplen 2.5

plot rows using (100 * $1):2 skip 1 with linespoints linecolor rgb "#0072B2" linewidth 2 pointtype 7 title "idle VM", \
	rows using (100 * $1):4 skip 1 with linespoints linecolor rgb "#D55E00" linewidth 2 pointtype 7 title "busy VM", \
	rows using (100 * $1):3 skip 1 with lines linecolor rgb "#0072B2" dashtype 2 title "it uses", \
	rows using (100 * $1):5 skip 1 with lines linecolor rgb "#D55E00" dashtype 2 title "it uses", \
	rows using (100 * $1):8 skip 1 axes x1y2 with linespoints linecolor rgb "#009E73" linewidth 2 pointtype 5 title "its throughput (right)"
