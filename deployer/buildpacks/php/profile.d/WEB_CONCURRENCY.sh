# Left without content: heroku-php-nginx counts PHP's processes itself, and figures of other buildpacks are not for them.
