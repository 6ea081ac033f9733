# Miss-ratio curves. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" replay-curves.gp > replay-curves.svg
#   gnuplot -e "format='png'" replay-curves.gp > replay-curves.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,760 dynamic background "white" \
		font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,912 font "DejaVu Sans,13" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "replay-curves.csv"

# What the rows are of, in their order.
distinct(column) = system(sprintf("awk -F, 'NR > 1 && !seen[$%d]++ { print $%d }' %s", \
	column, column, rows))
traces = distinct(1)
victims = distinct(3)
last_frames(t) = 0 + system(sprintf("awk -F, '$1 == \"%s\" { n = $2 } END { print n }' %s", t, rows))

# Columns: KiB of memory, misses per 100 references, misses per miss of lru.
curve(t, v) = sprintf("< awk -F, -v OFS=, '$1 == \"%s\" { \
	if (NR == FNR) { if ($3 == \"lru\") lru[$2] = $5 } \
	else if ($3 == \"%s\") print $2 * 4, $6 * 100, $5 / lru[$2] }' %s %s", t, v, rows, rows)

# Okabe and Ito's colours, which colour-blind readers tell apart, and a shape each.
colours = "#E69F00 #0072B2 #000000 #CC79A7 #009E73 #D55E00 #56B4E9 #999999"
shapes = "4 7 2 8 9 6 11 13"
colour(i) = word(colours, (i - 1) % words(colours) + 1)
shape(i) = int(word(shapes, (i - 1) % words(shapes) + 1))
do for [i = 1 : words(victims)] {
	set style line i linecolor rgb colour(i) linewidth 1.5 pointtype shape(i) pointsize 0.8
}

size_name(kib) = kib < 1024 ? sprintf("%d KiB", kib) : sprintf("%.3g MiB", kib / 1024.)

set multiplot layout 2,words(traces) columnsfirst margins 0.085,0.965,0.075,0.90 spacing 0.095,0.10 \
	title "Page misses of two real programs, by the memory they get and the victim policy" \
	font ",15" offset 0,-0.3
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror
unset mytics
set logscale x 2
do for [t in traces] {
	top = last_frames(t) * 4
	set xrange [58 : top * 1.1]
	set xtics ()
	kib = 64
	while (kib * 1.4 < top) {
		set xtics add (size_name(kib) kib)
		kib = kib * (top < 1024 ? 2 : 4)
	}
	set xtics add (size_name(top) top)

	set title t . ": misses, in % of references" font ",13"
	set logscale y 10
	set yrange [* : *]
	set ytics autofreq
	set format y "%g %%"
	unset xlabel
	set key bottom left Left reverse spacing 1.05 samplen 2 opaque box linecolor rgb "#b0b0b0"
	plot for [i = 1 : words(victims)] curve(t, word(victims, i)) using 1:2 \
		with linespoints linestyle i title word(victims, i)

	set title t . ": misses, as a multiple of lru’s" font ",13"
	unset logscale y
	set yrange [0.75 : *]
	set ytics 0.5
	set format y "%.1f"
	set xlabel "memory"
	unset key
	plot for [i = 1 : words(victims)] curve(t, word(victims, i)) using 1:3 \
		with linespoints linestyle i
}
unset multiplot
