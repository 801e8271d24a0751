# Shared by the benchmark scripts: sourced, with $dir and the array pids set.

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_nginx DIR CORE SERVERS
start_nginx() {
    local user=""
    if [[ $(id -u) == 0 ]]; then user="user root;"; fi
    cat >"$1/nginx.conf" <<N
$user
daemon off; worker_processes 1; pid nginx.pid; error_log error.log;
events { worker_connections 8192; }
http {
    access_log off;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    $3
}
N
    taskset -c "$2" nginx -p "$1" -c "$1/nginx.conf" >"$1/nginx.log" 2>&1 &
    pids+=("$!")
}

# wait_for URL SECONDS
wait_for() {
    local end=$((SECONDS + $2))
    until curl -fsS -o /dev/null --max-time 2 "$1" 2>/dev/null; do
        if ((SECONDS >= end)); then echo "no answer from $1" >&2; return 1; fi
        sleep 0.05
    done
}

# cpu_seconds PID: user + system time; the name in field 2 may hold spaces.
cpu_seconds() {
    sed 's/^.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.3f\n", ($12 + $13) / hz }'
}

# per_probe BEFORE AFTER COUNT: milliseconds per probe, and the count.
per_probe() {
    awk -v b="$1" -v a="$2" -v n="$3" 'BEGIN { if (n <= 0) { print "no probes" > "/dev/stderr"; exit 1 } printf "%.4f %d\n", (a - b) * 1000 / n, n }'
}

# metric PORT SERIES: its value; 0 where it is not there.
metric() {
    curl -fsS "http://127.0.0.1:$1/metrics" | awk -v s="$2" '$1 == s { v = $2 } END { print v + 0 }'
}
