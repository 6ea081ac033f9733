# The samplers: error against cost. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" sampler-race.gp > sampler-race.svg
#   gnuplot -e "format='png'" sampler-race.gp > sampler-race.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1200,480 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1440,576 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "sampler-race.csv"
of(load, sampler) = sprintf("< awk -F, '$1 == \"%s\" && $2 == \"%s\"' %s", load, sampler, rows)

set multiplot layout 1,3 margins 0.055,0.975,0.16,0.82 spacing 0.05,0 \
	title "Error of the estimate against what it costs, by sampler" font ",15"
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
set logscale x
set format x "%g"
set xlabel "µs of CPU time a minute, by the cost model"
set yrange [0 : *]
set offsets 0, 0, graph 0.3, 0
set key top right samplen 1.5
do for [load in "sqlite xz toucher"] {
	set title load font ",13"
	if (load eq "sqlite") { set ylabel "RMS error, % of the VM’s memory" } else { unset ylabel }
	plot of(load, "esx") using 7:4 with linespoints linecolor rgb "#0072B2" linewidth 2 pointtype 7 title "esx: 25 to 1600 pages", \
		of(load, "mrc") using 7:4 with linespoints linecolor rgb "#009E73" linewidth 2 pointtype 5 title "mrc: 64 to 1024 pages", \
		of(load, "abit") using 7:4 with points linecolor rgb "#D55E00" pointtype 9 pointsize 1.8 title "abit"
}
unset multiplot
