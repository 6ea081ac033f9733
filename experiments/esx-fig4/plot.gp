# Sharing by 1 to 10 identical VMs. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig4.gp > esx-fig4.svg
#   gnuplot -e "format='png'" esx-fig4.gp > esx-fig4.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1100,600 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1320,720 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig4.csv"

# Rows of one assumption about the common pool, empty fields as missing points.
of(member) = sprintf("< awk -F, -v OFS=, '$2 == %g { for (i = 1; i <= NF; i++) if ($i == \"\") $i = \"NaN\"; print }' %s", \
	member, rows)

# Okabe and Ito's colours; the paper's points are open circles in the curve's colour.
colour(i) = word("#000000 #0072B2 #D55E00 #009E73 #CC79A7", i)
dash(i) = int(word("2 1 1 1 1", i))
set for [i = 1 : 5] style line i linecolor rgb colour(i) linewidth 2 dashtype dash(i)
set for [i = 1 : 5] style line 10 + i linecolor rgb colour(i) linewidth 1.4 pointtype 6 pointsize 1.3
set style line 20 linecolor rgb "#808080" linewidth 1.2 dashtype 3

last(column) = real(system(sprintf("awk -F, '$2 == 0.9 && $1 == 10 { print $%d }' %s", column, rows)))
last_of(member, column) = real(system(sprintf("awk -F, '$2 == %g && $1 == 10 { print $%d }' %s", member, column, rows)))

set multiplot layout 1,2 margins 0.06,0.905,0.165,0.86 spacing 0.165,0 \
	title "Memory that 1 to 10 identical VMs share: lines ours, circles the paper’s (Waldspurger 2002, Fig. 4)" \
	font ",15" offset 0,-0.3
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0.8 : 10.2]
set xtics 1
set xlabel "number of VMs"
unset key
set label 100 "N = 1, 2 calibrated; from 3 on predicted" at screen 0.06,0.03 left font ",11"
set label 101 "Grey: shared, had the VMs each common content with probability 0.8 (above) or 1.0, not 0.9" \
	at screen 0.985,0.03 right font ",11"
set arrow 100 from 2.5,graph 0 to 2.5,graph 1 nohead linecolor rgb "#b0b0b0" dashtype 3

set title "MB" font ",13"
set yrange [0 : 400]
set ytics 100
set label 1 "memory of\nthe VMs" at 10.35,last(4) - 8 left textcolor rgb colour(1)
set label 2 "shared" at 10.35,last(5) + 6 left textcolor rgb colour(2)
set label 3 "reclaimed" at 10.35,last(10) - 6 left textcolor rgb colour(3)
set label 4 "zero pages" at 10.35,last(20) left textcolor rgb colour(5)
plot of(0.9) using 1:4 with lines linestyle 1, \
	of(0.9) using 1:5 with lines linestyle 2, \
	of(0.9) using 1:10 with lines linestyle 3, \
	of(0.9) using 1:20 with lines linestyle 5, \
	of(0.9) using 1:7 with points linestyle 12, \
	of(0.9) using 1:12 with points linestyle 13, \
	of(0.9) using 1:22 with points linestyle 15
unset label 1; unset label 2; unset label 3; unset label 4
unset label 100; unset label 101

set title "% of the VMs’ memory" font ",13"
set yrange [0 : 80]
set ytics 10
set label 2 "shared" at 10.35,last(6) left textcolor rgb colour(2)
set label 3 "reclaimed" at 10.35,last(11) left textcolor rgb colour(3)
set label 4 "shared −\nreclaimed" at 10.35,last(16) + 1.5 left textcolor rgb colour(4)
plot of(0.8) using 1:6 with lines linestyle 20, \
	of(1.0) using 1:6 with lines linestyle 20, \
	of(0.9) using 1:6 with lines linestyle 2, \
	of(0.9) using 1:11 with lines linestyle 3, \
	of(0.9) using 1:16 with lines linestyle 4, \
	of(0.9) using 1:8 with points linestyle 12, \
	of(0.9) using 1:13 with points linestyle 13, \
	of(0.9) using 1:18 with points linestyle 14
unset multiplot
