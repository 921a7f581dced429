# Web processes by the dyno's size, only where SENSIBLE_DEFAULTS asks for it (Heroku contract 9.4).
if [ -n "${SENSIBLE_DEFAULTS:-}" ] && [ -z "${WEB_CONCURRENCY:-}" ]; then
    case $(ulimit -u) in
        256) WEB_CONCURRENCY=2 ;;
        512) WEB_CONCURRENCY=4 ;;
        16384) WEB_CONCURRENCY=8 ;;
        32768) WEB_CONCURRENCY=16 ;;
    esac
    [ -z "${WEB_CONCURRENCY:-}" ] || export WEB_CONCURRENCY WEB_CONCURRENCY_SET_BY=ruby
fi
