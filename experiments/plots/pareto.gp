# Every point of a sweep by two outcomes; those that no other beats in both are joined.
if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,600 dynamic background "white" font "sans-serif,14" noenhanced
} else {
	set terminal pngcairo size 900,600 font "DejaVu Sans,11" noenhanced
}
set encoding utf8
set datafile separator ","
set grid linetype 1 linecolor rgb "#e8e8e8" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics nomirror out
set key outside top right horizontal
set xlabel x_label
set ylabel y_label
if (x_big) { set format x "%.1s%c" }
if (y_big) { set format y "%.1s%c" }
set title heading font ",14"
set offsets graph 0.05, graph 0.15, graph 0.08, graph 0.05
plot rows skip 1 using (column(4) == 0 ? column(2) : NaN):3 with points pointtype 7 pointsize 0.6 \
	linecolor rgb "#b0b0b0" title "beaten in both", \
     rows skip 1 using (column(4) == 1 ? column(2) : NaN):3 with linespoints pointtype 7 \
	pointsize 0.9 linewidth 1.5 linecolor rgb "#D55E00" title "not beaten", \
     rows skip 1 using (column(4) == 1 ? column(2) : NaN):3:1 with labels left offset 0.8,0.5 \
	font ",9" notitle
