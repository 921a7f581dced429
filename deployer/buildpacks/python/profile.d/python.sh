# What a Python dyno sees; what the user has set wins.
export PATH="$HOME/.heroku/python/bin:$PATH"
export PYTHONUNBUFFERED=${PYTHONUNBUFFERED:-true}
export PYTHONPATH=${PYTHONPATH-$HOME}
export LANG=${LANG:-C.UTF-8}
# the dyno hears nobody but the router, so its X-Forwarded headers can be believed
export FORWARDED_ALLOW_IPS=${FORWARDED_ALLOW_IPS-*}
export GUNICORN_CMD_ARGS=${GUNICORN_CMD_ARGS-"--access-logfile -"}
