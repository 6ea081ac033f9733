# dbench configured and ballooned. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig2.gp > esx-fig2.svg
#   gnuplot -e "format='png'" esx-fig2.gp > esx-fig2.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1080,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "< awk -F, -v OFS=, '{ for (i = 1; i <= NF; i++) if ($i == \"\") $i = \"NaN\"; print }' esx-fig2.csv"

set title "Throughput of dbench in a VM configured small, and in one of 256 MB ballooned down\n(simulated; open circles: Waldspurger 2002, Fig. 2)" font ",14"
set xlabel "memory of the VM, MB"
set ylabel "MB/s"
set yrange [0 : 20]
set xrange [108 : 276]
set xtics 128,32,256
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set key top left reverse Left
set boxwidth 10
set style fill solid 0.85 noborder
set bmargin 5
set label 1 "128 and 256 MB configured are calibrated, all else is predicted" at screen 0.985,0.025 right font ",11"
plot rows using ($1 - 5.5):3 every ::1 with boxes linecolor rgb "#404040" title "configured", \
	rows using ($1 + 5.5):6 every ::1 with boxes linecolor rgb "#7fb3d5" title "ballooned", \
	rows using ($1 - 5.5):4 every ::1 with points pointtype 6 pointsize 1.5 linecolor rgb "#D55E00" \
		linewidth 1.6 title "the paper’s", \
	rows using ($1 + 5.5):7 every ::1 with points pointtype 6 pointsize 1.5 linecolor rgb "#D55E00" \
		linewidth 1.6 notitle
