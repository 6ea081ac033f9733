# The statistics of a run over its virtual time, a panel for each.
if (!exists("format")) format = "png"
columns = |panels| < 2 ? 1 : 2
across = 120 + 560 * columns
down = 70 + 260 * ceil(1.0 * |panels| / columns)
if (format eq "svg") {
	set terminal svg size across,down dynamic background "white" font "sans-serif,13" noenhanced
} else {
	set terminal pngcairo size across,down font "DejaVu Sans,10" noenhanced
}
set encoding utf8
set datafile separator ","
colours = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000 #999933"
do for [i = 1 : 8] { set style line i linecolor rgb word(colours, i) linewidth 1.4 }
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics nomirror out
set xlabel "virtual time, s"
set format y "%.1s%c"
set yrange [0 : *]
set key right center Left reverse samplen 1.5
set multiplot layout ceil(1.0 * |panels| / columns),columns title heading font ",13"
do for [p = 1 : |panels|] {
	set title panels[p] font ",12"
	plot for [i = first[p] : first[p] + count[p] - 1] rows skip 1 using 1:(column(col[i])) \
		with lines linestyle (i - first[p]) % 8 + 1 title names[i]
}
unset multiplot
