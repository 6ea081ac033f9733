# A tax on idle memory between two real Linux guests. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" esx-fig7-live.gp > esx-fig7-live.svg
#   gnuplot -e "format='png'" esx-fig7-live.gp > esx-fig7-live.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1000,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1200,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "esx-fig7-live.csv"

set title "Live: an idle Linux guest and a file server, and a tax of 75 % on idle memory" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set xrange [0 : 300]
set yrange [0 : 280]
set ytics 50
set xlabel "seconds"
set ylabel "MB"
set key outside right center Left reverse samplen 1.8
set arrow 1 from 155,0 to 155,280 nohead linecolor rgb "#808080" dashtype 3
set label 2 "tax 75 %" at 157,272 left textcolor rgb "#606060"
set label 1 "Two guests of 256 MB in QEMU, measured. Thin: the paper’s (Waldspurger 2002, Fig. 7), 5 s a minute." \
	at screen 0.985,0.02 right font ",11"
set bmargin 5.5

# Okabe and Ito's colours.
plot rows using 1:15 skip 1 with lines linecolor rgb "#0072B2" linewidth 0.9 dashtype 2 title "idle, the paper’s", \
	rows using 1:17 skip 1 with lines linecolor rgb "#D55E00" linewidth 0.9 dashtype 2 title "busy, the paper’s", \
	rows using 1:3 skip 1 with lines linecolor rgb "#0072B2" linewidth 2.2 title "idle guest holds", \
	rows using 1:4 skip 1 with lines linecolor rgb "#56B4E9" linewidth 1.2 title "idle guest uses", \
	rows using 1:6 skip 1 with lines linecolor rgb "#D55E00" linewidth 2.2 title "busy guest holds", \
	rows using 1:7 skip 1 with lines linecolor rgb "#E69F00" linewidth 1.2 title "busy guest uses"
