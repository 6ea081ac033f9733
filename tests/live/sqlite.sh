#!/bin/bash
# sqlite3 with a database in its heap, which is guest memory, in half of what it
# takes: it must say what sqlite3 says without Ballast, word for word.
# ROWS=n: larger runs by hand.
set -u
cd "$(dirname "$0")/../.." || exit 1
ballast=${BUILD:-build}/ballast
command -v sqlite3 >/dev/null || {
	echo "skipped: there is no sqlite3: apt-get install sqlite3"
	exit 77
}
work=$(mktemp -d)
export BALLAST_SOCKET=$work/host.sock
trap '"$ballast" host stop >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
rows=${ROWS:-40000}
bad=0

fail() {
	echo "$*"
	bad=1
}

cat >"$work/work.sql" <<SQL
create table t (id integer primary key, name text, body text, n integer);
insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < $rows)
	select i, printf('name-%08d', i * 7919 % $rows),
	hex(zeroblob(40)) || printf('%0200d', i * i), i * 31 % 1000 from c;
create index t_name on t (name);
update t set body = body || body where id % 5 = 0;
delete from t where id % 7 = 3;
select count(*), sum(n), sum(length(body)), min(name), max(name) from t;
select n % 10, sum(id), sum(unicode(substr(body, -3))) from t group by 1 order by 1;
select count(*) from t a join t b on a.name = b.name where a.n < 500;
pragma integrity_check;
SQL
"$ballast" host start -s host.memory=$((rows / 4000))mb -s share.scan=random -s share.rate_vm=4k \
	-s share.rate_total=0 -s sample.sampler=esx >"$work/out" 2>"$work/err" || {
	grep -q userfaultfd "$work/err" && echo "skipped: $(cat "$work/err")" && exit 77
	cat "$work/err"
	exit 1
}
start=$(date +%s%N)
sqlite3 -bail :memory: ".read $work/work.sql" >"$work/plain" 2>&1 || fail "plain: $(cat "$work/plain")"
middle=$(date +%s%N)
"$ballast" vm start base -f -m $((rows / 600))mb sqlite3 -bail :memory: ".read $work/work.sql" \
	>"$work/guest" 2>&1 || fail "guest: $(cat "$work/guest")"
end=$(date +%s%N)
cmp "$work/plain" "$work/guest" || fail "another answer: $(diff "$work/plain" "$work/guest" | head -5)"
[ "$(tail -n 1 "$work/guest")" = ok ] || fail "not ok: $(tail -n 3 "$work/guest")"
outs=$("$ballast" vm list -a --json | awk '/"swap_outs":/ { n += $2 } END { print n + 0 }')
echo "  without Ballast $(((middle - start) / 1000000)) ms, half in memory $(((end - middle) / 1000000)) ms, $outs pages swapped out"
[ "$outs" -gt 500 ] || fail "only $outs pages were swapped out"
"$ballast" host check >"$work/out" || fail "$(cat "$work/out")"
"$ballast" vm list | grep -q base && fail "the guest is still there"
exit $bad
