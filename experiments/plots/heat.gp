# A heat map of the means over two axes of a sweep, a panel per rest.
if (!exists("format")) format = "png"
columns = |panels| < 3 ? |panels| : |panels| == 4 ? 2 : 3
across = 760 + 420 * (columns - 1)
down = 90 + 470 * ceil(1.0 * |panels| / columns)
if (format eq "svg") {
	set terminal svg size across,down dynamic background "white" font "sans-serif,14" noenhanced
} else {
	set terminal pngcairo size across,down font "DejaVu Sans,11" noenhanced
}
set encoding utf8
set datafile separator ","
set palette defined (0 "#440154", 1 "#3b528b", 2 "#21918c", 3 "#5ec962", 4 "#fde725")
set border 0
set tics nomirror out scale 0.5
unset key
set xlabel x_label
set ylabel y_label
set cblabel z_label
if (z_big) { set format cb "%.1s%c" }
set xrange [-0.5 : |x_names| - 0.5]
set yrange [-0.5 : |y_names| - 0.5]
every_x = ceil(|x_names| / 16.0)
every_y = ceil(|y_names| / 24.0)
set xtics () rotate by -45
set ytics ()
do for [k = 1 : |x_names| : every_x] { set xtics add (x_names[k] k - 1) }
do for [k = 1 : |y_names| : every_y] { set ytics add (y_names[k] k - 1) }
set multiplot layout ceil(1.0 * |panels| / columns),columns title heading font ",14"
do for [p = 1 : |panels|] {
	set title panels[p] font ",12"
	plot rows skip 1 using (strcol(1) eq panels[p] ? column(3) : NaN):4:(0.5):(0.5):5 \
		with boxxyerror linecolor palette fillstyle solid noborder
}
unset multiplot
