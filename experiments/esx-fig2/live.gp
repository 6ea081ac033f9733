# A file server in real Linux guests, configured and ballooned down. To change the figure, edit this
# and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig2-live.gp > esx-fig2-live.svg
#   gnuplot -e "format='png'" esx-fig2-live.gp > esx-fig2-live.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 900,520 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1080,624 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig2-live.csv"

set title "A file server in a live Linux guest: share of what the largest does, and the paper's (128, 192, 256 MB)" font ",14"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xlabel "MB that the guest has"
set ylabel "%"
set yrange [0 : 125]
set xrange [-0.6 : 2.6]
set boxwidth 0.18
set style fill solid 0.85 noborder
set key outside bottom center horizontal samplen 1.5

plot rows using ($0 - 0.3):7:xtic(1) skip 1 with boxes linecolor rgb "#0072B2" title "configured", \
	rows using ($0 - 0.1):8 skip 1 with boxes linecolor rgb "#D55E00" title "ballooned from 160 MB", \
	rows using ($0 + 0.1):9 skip 1 with boxes linecolor rgb "#56B4E9" title "configured, paper", \
	rows using ($0 + 0.3):10 skip 1 with boxes linecolor rgb "#E69F00" title "ballooned, paper", \
	rows using ($0 - 0.3):7:($7 * $4 / 200) skip 1 with yerrorbars pointtype 0 linecolor rgb "black" notitle, \
	rows using ($0 - 0.1):8:($8 * $6 / 200) skip 1 with yerrorbars pointtype 0 linecolor rgb "black" notitle
