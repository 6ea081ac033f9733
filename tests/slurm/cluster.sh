# shellcheck shell=sh
# A Slurm of one node on loopback, for tests: sourced, then cluster_start DIR and
# cluster_stop. As root, in a container without systemd and cgroups: munge of its
# own, processes tracked by /proc, no accounting. Nothing outside DIR is touched.

cluster_pids=

# Waits until a command succeeds, 30 s at most.
cluster_wait() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || return 1
		sleep 0.1
	done
}

# A port that nobody listens on; $1 is where to begin.
cluster_port() {
	port=$1
	while grep -qi ":$(printf %04X "$port") 00000000:0000 0A" /proc/net/tcp; do
		port=$((port + 1))
	done
	echo "$port"
}

cluster_conf() {
	host=$(hostname -s)
	cat <<-END
		ClusterName=ballast
		SlurmctldHost=$host(127.0.0.1)
		SlurmctldPort=$(cluster_port $((20000 + $$ % 9000)))
		SlurmdPort=$(cluster_port $((30000 + $$ % 2000)))
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		CredType=cred/munge
		AuthInfo=socket=$cluster/munge.socket
		StateSaveLocation=$cluster/state
		SlurmdSpoolDir=$cluster/spool
		SlurmctldPidFile=$cluster/slurmctld.pid
		SlurmdPidFile=$cluster/slurmd.pid
		SlurmctldLogFile=$cluster/slurmctld.log
		SlurmdLogFile=$cluster/slurmd.log
		SlurmctldParameters=enable_configless
		SlurmdParameters=config_overrides
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		SwitchType=switch/none
		MpiDefault=none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU
		SchedulerType=sched/builtin
		SchedulerParameters=sched_min_interval=100000,sched_interval=1,batch_sched_delay=0
		ReturnToService=2
		MinJobAge=60
		KillWait=2
		MaxArraySize=1001
		NodeName=$host NodeAddr=127.0.0.1 CPUs=${CLUSTER_CPUS:-4} State=UNKNOWN
		PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
		PartitionName=spare Nodes=ALL MaxTime=60 State=UP
	END
}

# cluster_start DIR: exports SLURM_CONF; 0 when the node takes jobs.
cluster_start() {
	cluster=$1
	mkdir -p "$cluster/state" "$cluster/spool"
	chmod 755 "$cluster"
	head -c 128 /dev/urandom >"$cluster/munge.key"
	chmod 600 "$cluster/munge.key"
	munged --foreground --force --key-file="$cluster/munge.key" --socket="$cluster/munge.socket" \
		--pid-file="$cluster/munge.pid" --log-file="$cluster/munge.log" \
		--seed-file="$cluster/munge.seed" >"$cluster/munge.out" 2>&1 &
	cluster_pids="$cluster_pids $!"
	cluster_conf >"$cluster/slurm.conf"
	export SLURM_CONF="$cluster/slurm.conf"
	cluster_wait test -S "$cluster/munge.socket" || return 1
	slurmctld -D >"$cluster/slurmctld.out" 2>&1 &
	cluster_pids="$cluster_pids $!"
	slurmd -D >"$cluster/slurmd.out" 2>&1 &
	cluster_pids="$cluster_pids $!"
	cluster_wait sh -c 'sinfo -h -o %T | grep -qx "idle\|mixed"'
}

# Only what cluster_start() started.
cluster_stop() {
	[ -n "$cluster_pids" ] || return 0
	scancel --user="$(id -un)" --signal=KILL >/dev/null 2>&1
	scancel --user="$(id -un)" >/dev/null 2>&1
	# shellcheck disable=SC2086 # a list
	kill $cluster_pids 2>/dev/null
	wait
	cluster_pids=
}
