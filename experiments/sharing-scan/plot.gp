# Memory reclaimed by scan policies. To change the figure, edit this and draw it again:
#
#   gnuplot -e "format='svg'" sharing-scan.gp > sharing-scan.svg
#   gnuplot -e "format='png'" sharing-scan.gp > sharing-scan.png

if (!exists("format")) format = "png"
if (format eq "svg") {
	set terminal svg size 1240,560 dynamic background "white" font "sans-serif,14"
} else {
	set terminal pngcairo size 1490,672 font "DejaVu Sans,12" linewidth 1.3
}
set encoding utf8
set datafile separator ","
rows = "sharing-scan.csv"
shown = 10 # pages/s of each VM, of the first two panels

# Okabe and Ito's colours, and a shape and a dash each.
policies = "random sequential idle-first ksm none"
colours = "#0072B2 #D55E00 #009E73 #000000 #909090"
shapes = "7 5 8 4 2"
dashes = "1 1 2 4 3"
do for [i = 1 : 5] {
	set style line i linecolor rgb word(colours, i) linewidth 1.8 dashtype int(word(dashes, i)) \
		pointtype int(word(shapes, i)) pointsize 0.9
}

# The way of one run (time and CPU time from 0); the ends of all runs of a policy.
way(p) = sprintf("< awk -F, -v OFS=, '$1 == \"%s\" && ($2 == %d || $1 == \"none\") { \
	if (!n++) print 0, 0.001, 0; print $3 / 60, $4 + 0.001, $6 }' %s", p, shown, rows)
ends(p) = sprintf("< awk -F, -v OFS=, '$1 == \"%s\" && $9 != \"\" { print $8, $9, $2 }' %s", p, rows)
# The rates for labels, one where several lie on the same spot.
rates_of(p) = sprintf("< awk -F, -v OFS=, '$1 == \"%s\" && $9 != \"\" { \
	if (n && $8 > x * 0.95 && $8 < x * 1.05 && $9 < y + 1) { label = label \", \" $2 } \
	else { if (n) print x, y, \"\\\"\" label \"\\\"\"; label = $2; n = 1 } x = $8; y = $9 } \
	END { print x, y, \"\\\"\" label \"\\\"\" }' %s", p, rows)

set multiplot layout 1,3 margins 0.045,0.985,0.125,0.84 spacing 0.055,0 \
	title "Memory that scanning reclaims from four VMs that rewrite 5 % of their pages every 10 s" \
	font ",15" offset 0,-0.3
set grid ytics linetype 1 linecolor rgb "#e0e0e0" linewidth 0.7
set border 3 linecolor rgb "#606060"
set tics textcolor rgb "black" nomirror out
unset key
set yrange [0 : 60]
set ytics 10

set title sprintf("%% of VM memory, at %d pages/s of each VM", shown) font ",13"
set xlabel "virtual time, minutes"
set xrange [0 : 20]
set xtics 5
set label 1 "sequential" at 8.6,54.3 left textcolor rgb word(colours, 2)
set label 2 "idle-first" at 14.2,54.3 left textcolor rgb word(colours, 3)
set label 3 "random" at 15,40 left textcolor rgb word(colours, 1)
set label 4 "ksm" at 11.7,25 left textcolor rgb word(colours, 4)
set label 5 "none" at 17.5,2 left textcolor rgb "#606060"
plot for [i = 1 : 5] way(word(policies, i)) using 1:3 with lines linestyle i

set title "the same against CPU time spent" font ",13"
set xlabel "CPU time so far, ms (cost model)"
set xrange [0.5 : 200]
set logscale x 10
set xtics 10
unset label 5
set label 1 "sequential" at 20,54.3 left textcolor rgb word(colours, 2)
set label 2 "idle-first" at 7.2,35 right textcolor rgb word(colours, 3)
set label 3 "random" at 14.5,38 left textcolor rgb word(colours, 1)
set label 4 "ksm" at 46,33 left textcolor rgb word(colours, 4)
plot for [i = 1 : 4] way(word(policies, i)) using 2:3 with lines linestyle i

set title "kept in the last 10 minutes, by pages/s" font ",13"
set xlabel "CPU time, µs per second (cost model)"
set xrange [3 : 2000]
set label 1 "sequential" at 105,54.6 center textcolor rgb word(colours, 2)
set label 2 "idle-first" at 26,54.6 center textcolor rgb word(colours, 3)
set label 3 "random" at 5.8,51.6 center textcolor rgb word(colours, 1)
set label 4 "ksm" at 450,52.5 center textcolor rgb word(colours, 4)
plot for [i = 1 : 4] ends(word(policies, i)) using 1:2 with linespoints linestyle i, \
	rates_of("random") using 1:2:3 with labels font ",10" offset 0,-0.8 notitle, \
	rates_of("sequential") using 1:2:3 with labels font ",10" offset 0.5,-0.9 notitle, \
	rates_of("ksm") using 1:2:3 with labels font ",10" offset 0.5,-0.9 notitle
unset multiplot
