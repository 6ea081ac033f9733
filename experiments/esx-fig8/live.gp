# Four real Linux guests in too little memory: states, all guests, two of them. To change the figure,
# edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig8-live.gp > esx-fig8-live.svg
#   gnuplot -e "format='png'" esx-fig8-live.gp > esx-fig8-live.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,1080 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,1296 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig8-live.csv"

set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 120]
set xtics 20
set lmargin 11
set rmargin 3
set multiplot title "Live: four Linux guests that boot at once into too little memory" font ",15"

set size 1,0.16
set origin 0,0.80
set yrange [-0.3 : 4.3] reverse
set ytics ("high" 0, "soft" 2, "hard" 3, "low" 4)
set title "(a) the host's state" font ",12" offset 0,-0.8
unset key
plot rows using 1:2 skip 1 with steps linecolor rgb "#0072B2" linewidth 1.5

set ylabel "MB"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set ytics auto
# Okabe and Ito's colours.
do for [p = 0 : 2] {
	set size 1,0.25
	set origin 0,0.55 - 0.245 * p
	set yrange [0 : (p == 0 ? 450 : 130)] noreverse
	set title (p == 0 ? "(b) all guests" : p == 1 ? "(c) mail" : "(d) db") font ",12" offset 0,-0.8
	held = p == 0 ? 4 : p == 1 ? 13 : 23
	if (p == 2) { set xlabel "seconds" }
	if (p == 0) {
		set key at screen 0.99,0.80 right horizontal maxrows 1 samplen 1.5
	} else {
		unset key
	}
	plot rows using 1:(column(held)) skip 1 with lines linecolor rgb "#D55E00" linewidth 1.5 title "allocated", \
		rows using 1:(column(held + 1)) skip 1 with lines linecolor rgb "#0072B2" linewidth 1.5 title "active", \
		rows using 1:(column(held + 2)) skip 1 with lines linecolor rgb "#009E73" linewidth 1.5 title "balloon", \
		rows using 1:(column(held + 3)) skip 1 with lines linecolor rgb "#CC79A7" linewidth 1.5 title "shared", \
		rows using 1:(p == 0 ? column(3) : NaN) skip 1 with lines linecolor rgb "#000000" linewidth 1 dashtype 2 title "swapped"
}
unset multiplot
