# Pages that are paged twice. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" double-paging.gp > double-paging.svg
#   gnuplot -e "format='png'" double-paging.gp > double-paging.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,520 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,624 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
of(arm) = sprintf("< grep ',%s,' double-paging.csv", arm)
arms = "guest balloon random lru"
names = "configured balloon random LRU"
colours = "#404040 #7fb3d5 #E69F00 #D55E00"

set multiplot layout 1,2 margins 0.075,0.985,0.14,0.86 spacing 0.09,0 \
	title "A guest of 128 MB that must swap, with less memory below it (simulated)" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set style fill solid 0.9 noborder
set boxwidth 2.6
set xrange [70 : 122]
set xtics 80,16,112
set xlabel "memory left to the guest, MB"
set yrange [0 : *]
set key top right reverse Left

set title "pages read from the host’s swap only to be written to the guest’s" font ",12"
plot for [i = 1 : 4] of(word(arms, i)) using ($1 + 3 * i - 7.5):3 with boxes \
	linecolor rgb word(colours, i) title word(names, i)
set title "files compiled in 150 s" font ",12"
unset key
plot for [i = 1 : 4] of(word(arms, i)) using ($1 + 3 * i - 7.5):9 with boxes \
	linecolor rgb word(colours, i) notitle
unset multiplot
