# What a page is to know of its dyno goes in when the dyno starts: config vars reach the shell, not the files.
sed -i -e "s/%DYNO%/${DYNO:-?}/" -e "s/%RELEASE%/${HEROKU_RELEASE_VERSION:-?}/" dist/index.html
