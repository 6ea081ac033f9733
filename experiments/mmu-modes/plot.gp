# What translation costs, by mode and workload. To change the figure, edit this:
#
#   gnuplot -e "format='svg'" mmu-modes.gp > mmu-modes.svg
#   gnuplot -e "format='png'" mmu-modes.gp > mmu-modes.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1240,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1490,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "mmu-modes.csv"
load(l) = sprintf("< awk -F, '$1 == \"%s\" && $3 == 0' %s", l, rows)
sweep(m) = sprintf("< awk -F, '$1 == \"sweep\" && $2 == \"%s\"' %s", m, rows)
colours = "#56B4E9 #0072B2 #E69F00 #D55E00 #909090"

set multiplot layout 1,5 margins 0.05,0.985,0.14,0.80 spacing 0.045,0 \
	title "Cycles that translation costs by the reference, warm" font ",15" offset 0,-0.3
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set style data histograms
set style histogram rowstacked
set style fill solid 0.95 border -1
set boxwidth 0.7
set yrange [0 : *]
set xtics rotate by -40 font ",11"
# The legend, in one row.
names = "'TLB, second level' walks 'faults in the guest' exits 'work of the VMM'"
do for [i = 1 : 5] {
	x = 0.16 + 0.15 * (i - 1)
	set object i rectangle from screen x,0.885 to screen x + 0.014,0.91 \
		fillcolor rgb word(colours, i) front
	set label i word(names, i) at screen x + 0.018,0.898 left
}
unset key
do for [kind in "walker build server database"] {
	set label 9 kind at graph 0.5,1.05 center font ",13"
	plot for [i = 1 : 5] load(kind) using (column(i + 4)):xtic(2) linecolor rgb word(colours, i)
	if (kind eq "walker") {
		unset object
		unset label
	}
}
set label 9 "walker with unmaps" at graph 0.5,1.05 center font ",13"
set xtics norotate font ",12"
set xlabel "unmaps per 1000 references"
set key at graph 0.03,0.97 left top Left reverse
plot sweep("shadow") using ($3 * 1000):4 with linespoints pointtype 7 linecolor rgb "#D55E00" \
	title "shadow", \
	sweep("ept") using ($3 * 1000):4 with linespoints pointtype 5 linecolor rgb "#0072B2" \
	title "ept"
unset multiplot
