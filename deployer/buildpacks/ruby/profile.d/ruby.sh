# What a Ruby dyno sees; what the user has set wins.
export PATH="$HOME/bin:$HOME/vendor/bundle/bin:$HOME/.heroku/ruby/bin:$PATH"
export LANG=${LANG:-C.UTF-8}
export BUNDLE_DEPLOYMENT=1 BUNDLE_PATH=${BUNDLE_PATH:-vendor/bundle} BUNDLE_BIN=${BUNDLE_BIN:-vendor/bundle/bin}
export BUNDLE_WITHOUT=${BUNDLE_WITHOUT:-development:test}
export BUNDLER_VERSION=${BUNDLER_VERSION:-@BUNDLER@}
# the colon at the end stands for the folders of Ruby itself
export GEM_PATH=${GEM_PATH:-$HOME/vendor/bundle/ruby/@API@:}
export RACK_ENV=${RACK_ENV:-production} RAILS_ENV=${RAILS_ENV:-production}
export RAILS_SERVE_STATIC_FILES=${RAILS_SERVE_STATIC_FILES:-enabled} RAILS_LOG_TO_STDOUT=${RAILS_LOG_TO_STDOUT:-enabled}
export DISABLE_SPRING=1 MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2} PUMA_PERSISTENT_TIMEOUT=${PUMA_PERSISTENT_TIMEOUT:-95}
