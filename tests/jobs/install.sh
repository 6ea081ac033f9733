#!/bin/sh
# make install and uninstall: everything in its place under any PREFIX, nothing
# left behind; manual pages and completion know every command and option.
. "$(dirname "$0")/../lib.sh"
[ "$build" = build ] || skip "installs the plain build"

quiet_make() {
	(unset MAKEFLAGS && make -s "$@" DESTDIR="$work/root" PREFIX=/opt/b) >"$work/log" 2>&1 ||
		fail "make $1 failed: $(tail -n 3 "$work/log")"
}

mkdir -p "$work/root/opt/b/share/man/man1" "$work/root/opt/b/share/doc"
touch "$work/root/opt/b/share/man/man1/other.1"
(cd "$work/root" && find . | sort) >"$work/before"
quiet_make install
prefix=$work/root/opt/b
man=$prefix/share/man/man1
[ -x "$prefix/bin/ballast" ] || fail "no program"
grep -q '/opt/b/share/ballast' "$man/ballast.1" || fail "ballast.1 names another prefix"
(cd / && "$prefix/bin/ballast" reproduce esx-fig4 -o "$work/r") >"$work/out" 2>&1 || fail "installed, it fails: $(cat "$work/out")"
[ -s "$work/r/index.html" ] || fail "installed, it writes no report"

# A page for every command and verb, each with every option that --help has.
"$ballast" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >"$work/commands"
while read -r command; do
	"$ballast" "$command" --help | sed -n "/^Verbs:/,/^\$/s/^  \([a-z]*\) .*/$command \1/p"
done <"$work/commands" >"$work/verbs"
[ "$(wc -l <"$work/commands")" -ge 9 ] && [ "$(wc -l <"$work/verbs")" -ge 7 ] || fail "commands: $(cat "$work/commands" "$work/verbs")"
cat "$work/verbs" >>"$work/commands"
pages=$(find "$man" -name 'ballast-*.1' | wc -l)
[ "$pages" = "$(wc -l <"$work/commands")" ] || fail "$pages pages for $(wc -l <"$work/commands") commands"
while read -r command; do
	page=$man/ballast-$(echo "$command" | tr ' ' -).1
	[ -s "$page" ] || fail "no page of $command"
	# shellcheck disable=SC2086 # one or two words
	"$ballast" $command --help | sed -nE 's/^ +(-[a-zA-Z], )?--([a-z-]+).*/\2/p' | grep -vxE 'help|usage|version' >"$work/options"
	while read -r option; do
		grep -qE "^\.It (Fl . , )?Fl -$option( |\$)" "$page" || fail "the page of $command does not tell of --$option"
	done <"$work/options"
done <"$work/commands"
for page in "$man"/ballast*.1; do
	sed -n 's/^\.\(It \)*Xr \(ballast[a-z-]*\) 1$/\2/p' "$page" | while read -r name; do
		[ -s "$man/$name.1" ] || echo "${page##*/} refers to $name(1)"
	done
done >"$work/missing"
[ -s "$work/missing" ] && fail "$(cat "$work/missing")"
if command -v mandoc >/dev/null; then
	mandoc -T lint "$man"/ballast*.1 | grep -v 'referenced manual not found' >"$work/lint"
	[ -s "$work/lint" ] && fail "$(cat "$work/lint")"
fi

# Completion, as bash asks for it.
cat >"$work/complete" <<'END'
. "$1"
shift
COMP_LINE="ballast $*"
COMP_POINT=${#COMP_LINE}
last=${*: -1}
_ballast ballast "${last##*=}" # bash completes what is behind a '='
printf '%s\n' "${COMPREPLY[@]}"
END
# completes WANTED WORD...: the words typed so far, the last one in part.
completes() {
	wanted=$1
	shift
	got=$(bash "$work/complete" "$prefix/share/bash-completion/completions/ballast" "$@" | sort | tr '\n' ' ')
	case " $got" in *" $wanted "*) ;; *) fail "ballast $*: completes to '$got', not '$wanted'" ;; esac
}
if command -v bash >/dev/null; then
	completes reproduce rep
	completes esx-fig5 reproduce esx-
	completes --json reproduce --j
	completes import trace im
	completes --renumber trace import --r
	completes zipf trace gen z
	completes victim list vic
	completes host.memory= run x.job -s host.m
	completes host.memory= sweep x.job --vary host.m
	completes swap.victim= sweep x.job -s swap.v
	completes swap.victim= run --set=swap.v
	completes host.memory= host start --set host.m
	completes host.seed= sweep x.job --pin host.s
	completes clock sweep x.job --vary swap.victim=cl
	completes lru,clock sweep x.job --vary swap.victim=lru,cl
	completes ept run x.job -s vm.a.translation=e
	completes on run x.job -s sample.truth=o
	completes alpha= trace gen zipf -s al
	completes @victims sweep @v
	completes @tax-rate sweep ''
	completes alloc help al
	completes import help trace im
	(cd "$work" && touch some.job && completes some.job run so)
	[ "$(bash "$work/complete" "$prefix/share/bash-completion/completions/ballast" reproduce zzz)" = "" ] || fail "completes nonsense"
fi

quiet_make uninstall
(cd "$work/root" && find . -not -type d | sort) >"$work/left"
[ "$(cat "$work/left")" = ./opt/b/share/man/man1/other.1 ] || fail "uninstall leaves $(cat "$work/left")"
exit $bad
