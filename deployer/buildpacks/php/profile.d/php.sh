# What a PHP dyno sees.
export PATH="$HOME/.heroku/php/bin:$HOME/.heroku/php/own/bin:$HOME/.heroku/php/own/sbin:$HOME/vendor/bin:$PATH"
export LANG=${LANG:-C.UTF-8}
