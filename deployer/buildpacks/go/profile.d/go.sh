# The app's own programs can be called by their names.
export PATH="$HOME/bin:$PATH"
