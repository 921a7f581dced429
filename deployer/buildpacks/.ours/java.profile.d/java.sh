# What a Java dyno sees (Heroku contract 9.5); what the user has set comes last and wins.
export JAVA_HOME="$HOME/.jdk"
export PATH="$JAVA_HOME/bin:$PATH"

java_options="-Dfile.encoding=UTF-8"
limit=$(cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)
# without a limit that file holds a number beyond all memory
case $limit in '' | *[!0-9]* | ?????????????????*) limit= ;; esac
[ -z "$limit" ] || java_options="$java_options -XX:MaxRAM=$limit"
case $limit in
    536870912) java_options="$java_options -Xmx300m -Xss512k -XX:CICompilerCount=2" ;;
    1073741824) java_options="$java_options -Xmx671m -XX:CICompilerCount=2" ;;
    *) java_options="$java_options -XX:MaxRAMPercentage=80.0" ;;
esac

export JAVA_OPTS="$java_options${JAVA_OPTS:+ $JAVA_OPTS}"
case ${DYNO:-} in
    run.*) ;;
    *) export JAVA_TOOL_OPTIONS="$java_options${JAVA_TOOL_OPTIONS:+ $JAVA_TOOL_OPTIONS}" ;;
esac
unset java_options limit
