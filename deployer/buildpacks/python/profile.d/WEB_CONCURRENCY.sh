# Web processes: two a core and one more, but never more than fit at 256 MB each (Heroku contract 9.2).
if [ -z "${WEB_CONCURRENCY:-}" ]; then
    for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
        limit=$(cat "$file" 2>/dev/null) || continue
        case $limit in '' | *[!0-9]*) continue ;; esac
        by_cores=$(($(nproc) * 2 + 1))
        by_memory=$((limit / 1048576 / 256))
        WEB_CONCURRENCY=$((by_memory < by_cores ? by_memory : by_cores))
        [ "$WEB_CONCURRENCY" -ge 1 ] || WEB_CONCURRENCY=1
        export WEB_CONCURRENCY WEB_CONCURRENCY_SET_BY=python DYNO_RAM=$((limit / 1048576))
        break
    done
    unset file limit by_cores by_memory
fi
