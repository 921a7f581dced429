# What a Node.js dyno sees; what the user has set wins.
export NODE_HOME="$HOME/.heroku/node"
export PATH="$NODE_HOME/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_ENV=${NODE_ENV:-production}
export NPM_CONFIG_UPDATE_NOTIFIER=${NPM_CONFIG_UPDATE_NOTIFIER:-false}
# pnpm would install anew, and fail, as the dyno is not where it installed
export pnpm_config_verify_deps_before_run=${pnpm_config_verify_deps_before_run:-warn}
