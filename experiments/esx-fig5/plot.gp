# Sharing on three production hosts. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig5.gp > esx-fig5.svg
#   gnuplot -e "format='png'" esx-fig5.gp > esx-fig5.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1100,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1320,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig5.csv"

# The rows of the end have the paper's numbers; the others are the way there.
at_end = "< awk -F, -v OFS=, '$8 + 0 > 0 { for (i = 1; i <= NF; i++) if ($i == \"\") $i = \"NaN\"; print $0, n++ }' " . rows
way(host) = sprintf("< awk -F, '$1 == \"%s\"' %s", host, rows)
field(host, column) = real(system(sprintf("awk -F, '$1 == \"%s\" && $8 + 0 > 0 { print $%d }' %s", host, column, rows)))

# Okabe and Ito's colours. Ours filled, the paper's in outline.
blue = "#0072B2"
orange = "#D55E00"
pink = "#CC79A7"
w = 0.11

set multiplot layout 1,2 margins 0.065,0.925,0.115,0.86 spacing 0.10,0 \
	title "Memory that three production hosts share (Waldspurger 2002, Fig. 5)" \
	font ",15" offset 0,-0.3
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out

set title "MB after 24 hours: filled ours, outlined the paper’s (its input)" font ",13"
set xrange [-0.55 : 2.55]
set yrange [0 : 1000]
set ytics 200
set xtics ("A: 10 Windows NT,\n2048 MB in all" 0, "B: 9 Linux,\n1846 MB in all" 1, "C: 5 Linux,\n1658 MB in all" 2) scale 0
set key top right reverse Left samplen 1.5
set style fill solid 0.85 border -1
plot at_end using ($10 - 0.30):4:(w) with boxes linecolor rgb blue fillstyle solid 0.85 noborder title "shared", \
	at_end using ($10 - 0.30 + w):7:(w) with boxes linecolor rgb blue linewidth 1.5 fillstyle empty border notitle, \
	at_end using ($10 - 0.03):5:(w) with boxes linecolor rgb orange fillstyle solid 0.85 noborder title "reclaimed", \
	at_end using ($10 - 0.03 + w):8:(w) with boxes linecolor rgb orange linewidth 1.5 fillstyle empty border notitle, \
	at_end using ($10 + 0.24):6:(w) with boxes linecolor rgb pink fillstyle solid 0.85 noborder title "zero pages (A’s assumed)", \
	at_end using ($10 + 0.24 + w):9:(w) with boxes linecolor rgb pink linewidth 1.5 fillstyle empty border notitle, \
	at_end using ($10 - 0.245):($4 + 22):(sprintf("%.0f", $4)) with labels font ",11" notitle, \
	at_end using ($10 + 0.025):($5 + 22):(sprintf("%.0f", $5)) with labels font ",11" notitle, \
	at_end using ($10 + 0.295):($6 + 22):(sprintf("%.0f", $6)) with labels font ",11" notitle

unset key
set title "Reclaimed while scanning at 200 pages/s, % of the VMs’ memory" font ",13"
set xlabel "hours"
set xrange [0 : 24]
set xtics autofreq 0,4 scale 1
set yrange [0 : 40]
set ytics 10
set style line 1 linecolor rgb orange linewidth 2 dashtype 1
set style line 2 linecolor rgb "#909090" linewidth 1.4 dashtype 3
do for [i = 1 : 3] {
	h = word("A B C", i)
	set label i at 24.4,(100 * field(h, 5) / field(h, 3)) h left textcolor rgb orange
	set arrow i from 0,(100 * field(h, 8) / field(h, 3)) to 24,(100 * field(h, 8) / field(h, 3)) \
		nohead linestyle 2
}
set label 4 "dotted: the paper’s" at 23.8,34.4 right textcolor rgb "#606060" font ",11"
plot for [h in "A B C"] way(h) using 2:(100 * $5 / $3) with lines linestyle 1
unset multiplot
