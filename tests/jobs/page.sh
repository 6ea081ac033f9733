#!/bin/sh
# The report of ballast reproduce as a browser shows it: on a desk and on a
# phone, light and dark, every figure is there, nothing is cut off at the side,
# and nothing is fetched.
. "$(dirname "$0")/../lib.sh"
[ "$build" = build ] || skip "the page is the same, reproduce.sh and the unit tests drive what makes it"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no chromium here"

"$ballast" reproduce esx-fig4 esx-fig5 -o "$work/r" >"$work/out" 2>"$work/err"
rc=$?
[ $rc = 0 ] || [ $rc = 3 ] || {
	echo "exit code $rc: $(cat "$work/err")"
	exit 1
}
page=$work/r/index.html
grep -q "Content-Security-Policy\" content=\"default-src 'none'; img-src data:;" "$page" || fail "the page may fetch"
grep -oE '(src|href)="[^"#]*"' "$page" | cut -c 1-60 | grep -E '="([a-z]+:)?//|="/|="http' && fail "the page links out of its folder"
for file in $(grep -oE 'href="[^"#]*"' "$page" | sed 's/href="//; s/"$//' | grep -v '^data:'); do
	[ -s "$work/r/$file" ] || fail "the page links to $file, which is not there"
done

# A copy that looks at itself once it is loaded, and says what it saw.
cat >"$work/look" <<'END'
<script>
var refused = 0;
document.addEventListener("securitypolicyviolation", function () { refused++; });
addEventListener("load", function () {
	var root = document.documentElement, images = Array.from(document.images), wide = [];
	document.querySelectorAll("body *").forEach(function (e) {
		for (var p = e; p; p = p.parentElement)
			if (getComputedStyle(p).overflowX !== "visible") return;
		if (e.getBoundingClientRect().right > innerWidth + 0.5) wide.push(e.tagName + "." + e.className);
	});
	var body = getComputedStyle(document.body), text = "saw width " + innerWidth +
		" scroll " + Math.max(0, root.scrollWidth - innerWidth) + " wide [" + wide.slice(0, 5) + "]" +
		" images " + images.filter(function (i) { return i.complete && i.naturalWidth > 0; }).length + "/" + images.length +
		" fetched " + performance.getEntriesByType("resource").filter(function (e) { return !/^data:/.test(e.name); }).length +
		" refused " + refused + " back " + body.backgroundColor + " text " + body.color + " end";
	parent.postMessage(text, "*");
});
</script>
END
sed -e "s/style-src 'unsafe-inline'/style-src 'unsafe-inline'; script-src 'unsafe-inline'/" \
	-e "/<style>/{
		r $work/look
		N
	}" "$page" >"$work/r/look.html"

# look WIDTH OPTION...: what the copy saw at that width, in a frame, since a window has at least 500.
look() {
	cat >"$work/r/frame.html" <<END
<iframe src="look.html" width="$1" height="900" style="border: 0"></iframe>
<script>addEventListener("message", function (e) { document.body.append(e.data); });</script>
END
	shift
	timeout 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
		--user-data-dir="$work/profile" --window-size=1400,900 --virtual-time-budget=5000 "$@" \
		--dump-dom "file://$work/r/frame.html" 2>"$work/browser" | grep -o 'saw width.* end'
}

figures=2
for width in 360 390 1280; do
	saw=$(look $width)
	case "$saw" in
	"saw width $width scroll 0 wide [] images $figures/$figures fetched 0 refused 0 back "*) ;;
	"") fail "the browser says nothing: $(tail -n 3 "$work/browser")" ;;
	*) fail "at $width: $saw" ;;
	esac
done
light=$(look 390 | grep -o 'back .*')
dark=$(look 390 --blink-settings=preferredColorScheme=0 | grep -o 'back .*')
[ -n "$dark" ] && [ "$light" != "$dark" ] || fail "dark is as light: $dark"
exit $bad
