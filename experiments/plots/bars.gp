# Bars with 95 % intervals: a group per value of one axis of a sweep, a bar per series.
if (!exists("format")) format = "png"
columns = |panels| < 3 ? |panels| : |panels| == 4 ? 2 : 3
across = 700 + 330 * (columns - 1)
down = 90 + 430 * ceil(1.0 * |panels| / columns)
if (format eq "svg") {
	set terminal svg size across,down dynamic background "white" font "sans-serif,14" noenhanced
} else {
	set terminal pngcairo size across,down font "DejaVu Sans,11" noenhanced
}
set encoding utf8
set datafile separator ","
set datafile missing "NaN"
colours = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000 #999933"
do for [i = 1 : 8] { set style line i linecolor rgb word(colours, i) linewidth 1 }
set style line 9 linecolor rgb "#202020" linewidth 1.3
set style fill solid 0.75 noborder
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics nomirror out
if (|series| > 1) { set key outside right top Left reverse samplen 2 } else { unset key }
set xlabel x_label
set ylabel y_label
if (y_big) { set format y "%.1s%c" }
set xrange [-0.6 : |names| - 0.4]
set yrange [0 : *]
set xtics ()
do for [k = 1 : |names|] { set xtics add (names[k] k - 1) }
if (|names| > 6) { set xtics rotate by -45 }
w = 0.8 / |series|
at(i) = column(3) + (i - 1 - (|series| - 1) / 2.0) * w
here(p, i) = strcol(1) eq panels[p] && strcol(2) eq series[i]
set multiplot layout ceil(1.0 * |panels| / columns),columns title heading font ",14"
do for [p = 1 : |panels|] {
	set title panels[p] font ",12"
	plot for [i = 1 : |series|] rows skip 1 using (here(p, i) ? at(i) : NaN):4:(w * 0.92) \
		with boxes linestyle (i - 1) % 8 + 1 title series[i], \
	     for [i = 1 : |series|] rows skip 1 using (here(p, i) ? at(i) : NaN):4:5:6 \
		with yerrorbars linestyle 9 pointsize 0 notitle
}
unset multiplot
