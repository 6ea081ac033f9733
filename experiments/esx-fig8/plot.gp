# Five VMs in too little memory: states, all VMs, two of them. To change the figure, edit this and
# draw it again:
#
#   gnuplot -e "format='svg'" esx-fig8.gp > esx-fig8.svg
#   gnuplot -e "format='png'" esx-fig8.gp > esx-fig8.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,1180 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,1416 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig8.csv"

set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 90]
set xtics 10
set lmargin 11
set rmargin 3
set multiplot title "Five VMs that boot at once into too little memory (Waldspurger 2002, Fig. 8)" font ",15"

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
# Okabe and Ito's colours; wide and pale the paper's, thin ours.
do for [p = 0 : 2] {
	set size 1,0.25
	set origin 0,0.55 - 0.245 * p
	set yrange [0 : (p == 0 ? 1450 : 340)] noreverse
	set title (p == 0 ? "(b) all VMs" : p == 1 ? "(c) the Citrix server, 320 MB" : "(d) the SQL server, 320 MB") font ",12" offset 0,-0.8
	c = 4 + 8 * p
	if (p == 2) {
		set xlabel "minutes"
		set label 1 "Thin: ours. Wide and pale: the paper’s. What guests use is an input, read off the paper’s active memory." \
			at screen 0.985,0.012 right font ",11"
	}
	if (p == 0) {
		set key at screen 0.97,0.795 right horizontal samplen 2
	} else {
		unset key
	}
	plot rows using 1:(column(c + 1)) skip 1 with lines linecolor rgb "#90D55E00" linewidth 4 notitle, \
		rows using 1:(column(c + 3)) skip 1 with lines linecolor rgb "#900072B2" linewidth 4 notitle, \
		rows using 1:(column(c + 5)) skip 1 with lines linecolor rgb "#90009E73" linewidth 4 notitle, \
		rows using 1:(column(c + 7)) skip 1 with lines linecolor rgb "#90CC79A7" linewidth 4 notitle, \
		rows using 1:(column(c)) skip 1 with lines linecolor rgb "#D55E00" linewidth 1.5 title "allocated", \
		rows using 1:(column(c + 2)) skip 1 with lines linecolor rgb "#0072B2" linewidth 1.5 title "active", \
		rows using 1:(column(c + 4)) skip 1 with lines linecolor rgb "#009E73" linewidth 1.5 title "balloon", \
		rows using 1:(column(c + 6)) skip 1 with lines linecolor rgb "#CC79A7" linewidth 1.5 title "shared"
}
unset multiplot
