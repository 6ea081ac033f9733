# What 2 MiB save, by workload, and what sharing and sampling do to them. To change the
# figure, edit this:
#
#   gnuplot -e "format='svg'" mmu-pages.gp > mmu-pages.svg
#   gnuplot -e "format='png'" mmu-pages.gp > mmu-pages.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1240,760 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1490,912 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "mmu-pages.csv"
load(l, m) = sprintf("< awk -F, '$1 == \"%s\" && $2 == \"%s\"' %s", l, m, rows)
part(l) = sprintf("< awk -F, '$1 == \"%s\"' %s", l, rows)
colours = "#56B4E9 #0072B2 #E69F00 #D55E00 #909090"

set multiplot layout 2,5 margins 0.05,0.985,0.09,0.85 spacing 0.045,0.17 \
	title "Cycles that translation costs by the reference, warm: pages of the guest / of the host" \
	font ",15" offset 0,-0.3
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set style data histograms
set style histogram rowstacked
set style fill solid 0.95 border -1
set boxwidth 0.7
set yrange [0 : *]
set xtics norotate font ",10"
# The legend, in one row.
names = "'TLB, second level' walks 'faults in the guest' exits 'work of the VMM'"
do for [i = 1 : 5] {
	x = 0.16 + 0.15 * (i - 1)
	set object i rectangle from screen x,0.915 to screen x + 0.014,0.933 \
		fillcolor rgb word(colours, i) front
	set label i word(names, i) at screen x + 0.018,0.924 left
}
unset key
do for [mode in "ept shadow"] {
	do for [kind in "walker build server database"] {
		set label 9 sprintf("%s, %s", kind, mode) at graph 0.5,1.06 center font ",12"
		plot for [i = 1 : 5] load(kind, mode) \
			using (column(i + 6)):xtic(strcol(3)."/".strcol(4)) \
			linecolor rgb word(colours, i)
		unset object
		do for [i = 1 : 5] { unset label i }
	}
	if (mode eq "ept") {
		set label 9 "sharing: MB shared" at graph 0.5,1.06 center font ",12"
		plot part("sharing") using 18:xtic(5) linecolor rgb "#009E73"
	} else {
		set label 9 "sharing: cycles" at graph 0.5,1.06 center font ",12"
		plot for [i = 1 : 5] part("sharing") using (column(i + 6)):xtic(5) \
			linecolor rgb word(colours, i)
	}
}
unset multiplot
