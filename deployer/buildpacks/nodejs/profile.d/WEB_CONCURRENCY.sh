# Web processes: as many as fit at WEB_MEMORY MB each (Heroku contract 9.3).
if [ -z "${MEMORY_AVAILABLE:-}" ]; then
    MEMORY_AVAILABLE=512
    for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
        limit=$(cat "$file" 2>/dev/null) || continue
        case $limit in '' | *[!0-9]*) continue ;; esac
        MEMORY_AVAILABLE=$((limit / 1048576))
        # no dyno has more; a host without a limit gives an absurd figure
        [ "$MEMORY_AVAILABLE" -le 129024 ] || MEMORY_AVAILABLE=129024
        break
    done
    unset file limit
fi
if [ -z "${WEB_MEMORY:-}" ]; then
    WEB_MEMORY=512
    [ "$MEMORY_AVAILABLE" -le 16384 ] || WEB_MEMORY=2048
fi
export MEMORY_AVAILABLE WEB_MEMORY
if [ -z "${WEB_CONCURRENCY:-}" ]; then
    WEB_CONCURRENCY=$((MEMORY_AVAILABLE / WEB_MEMORY))
    if [ "$WEB_CONCURRENCY" -lt 1 ] || [ "$WEB_CONCURRENCY" -gt 200 ]; then WEB_CONCURRENCY=1; fi
    export WEB_CONCURRENCY WEB_CONCURRENCY_SET_BY=nodejs
fi
