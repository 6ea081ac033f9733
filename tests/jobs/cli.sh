#!/bin/sh
# The command line: help of every command exits 0, and an error is one line on
# standard error with exit code 2 (usage) or 1 (output that does not arrive).
. "$(dirname "$0")/../lib.sh"

fail() {
	echo "$*"
	sed 's/^/    /' "$work/out" "$work/err"
	bad=1
}

# want CODE ARGUMENT...: runs ballast, compares the exit code.
want() {
	code=$1
	shift
	"$ballast" "$@" >"$work/out" 2>"$work/err"
	rc=$?
	[ $rc = "$code" ] || fail "ballast $*: exit code $rc, not $code"
}

# ok ARGUMENT...: exits 0, writes something, and nothing to standard error.
ok() {
	want 0 "$@"
	[ -s "$work/out" ] || fail "ballast $*: no output"
	[ -s "$work/err" ] && fail "ballast $*: output on standard error"
}

# usage PATTERN ARGUMENT...: exits 2 with one line that matches, and no output.
usage() {
	pattern=$1
	shift
	want 2 "$@"
	[ "$(wc -l <"$work/err")" = 1 ] || fail "ballast $*: not one line of error"
	grep -q -- "$pattern" "$work/err" || fail "ballast $*: no '$pattern' in the error"
	[ -s "$work/out" ] && fail "ballast $*: output before the error"
}

# fits WORDS: what was printed last is help of at most 79 columns, with no line that is only blanks.
fits() {
	awk 'length > 79 || / $/ { print; bad = 1 } END { exit bad }' "$work/out" || fail "help $*: a line too long, or that ends in blanks"
}

ok --help
commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$work/out")
for command in list help version; do
	echo "$commands" | grep -qx "$command" || fail "no $command in the overview"
done
for command in $commands; do
	ok "$command" --help
	cp "$work/out" "$work/help"
	grep -q "ballast $command" "$work/help" || fail "no name in the help of $command"
	grep -qi "example" "$work/help" || fail "no example in the help of $command"
	ok help "$command"
	cmp -s "$work/out" "$work/help" || fail "help $command differs from $command --help"
	fits "$command"
	verbs=$(sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$work/help")
	for verb in $verbs; do
		ok help "$command" "$verb"
		fits "$command" "$verb"
		! sed -n '/^Examples\{0,1\}:/,$p' "$work/out" | grep -q '^[^ ]*\.bt$' || fail "help $command $verb: an example in two halves"
	done
	usage 'unrecognized option' "$command" --no-such-option
done
ok help trace import
grep -q 'ballast trace import' "$work/out" || fail "help trace import is that of something else"
usage 'one command at a time' help trace import export
usage "no verb 'imprt'; did you mean 'import'" help trace imprt
ok --version
ok version
ok version --json
grep -q '"ballast": "[0-9.]*"' "$work/out" || fail "no version in JSON"
"$ballast" --help >"$work/help"
ok help
cmp -s "$work/out" "$work/help" || fail "help differs from --help"
ok list

usage 'which command' # no command at all
usage "did you mean 'list'" lits
usage "'ballast --help' lists them" xyzzy
usage "did you mean 'version'" help verson
usage 'one command at a time' help list help
usage 'no kind or section' list xyzzy
usage 'one kind or section' list a b
usage 'one argument too many' version x
usage 'unrecognized option' --no-such-option

# Every name that list prints is a name that list takes.
"$ballast" list >"$work/list"
# shellcheck disable=SC2013 # names have no blanks
for name in $(sed -n 's/^\([a-z][a-z_]*\)\( NAME\)* *\( { }\|  \).*/\1/p' "$work/list"); do
	ok list "$name"
done

# Output that does not arrive.
for arguments in list "help list" version --help --version; do
	# shellcheck disable=SC2086 # words
	"$ballast" $arguments >/dev/full 2>"$work/err"
	rc=$?
	: >"$work/out"
	[ $rc = 1 ] || fail "ballast $arguments on a full disk: exit code $rc, not 1"
	[ "$(wc -l <"$work/err")" = 1 ] || fail "ballast $arguments on a full disk: not one line"
done
{
	sleep 0.3
	"$ballast" list 2>"$work/err"
	echo $? >"$work/rc"
} | true
[ "$(cat "$work/rc")" = 1 ] || fail "a closed pipe: exit code $(cat "$work/rc"), not 1"
grep -q 'Broken pipe' "$work/err" || fail "a closed pipe is not named"

# Without a terminal there are no escape sequences.
"$ballast" list | grep -q "$(printf '\033')" && fail "escape sequences in a pipe"
exit $bad
