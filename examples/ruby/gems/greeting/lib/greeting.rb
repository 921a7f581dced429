# Says which dyno greets, and how long it has been awake.
class Greeting
  STARTED = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def initialize(environment)
    @dyno = environment.fetch("DYNO", "?")
    @release = environment.fetch("HEROKU_RELEASE_VERSION", "?")
  end

  def to_s
    "Hello from Ruby on #{@dyno}, release #{@release}\nRuby #{RUBY_VERSION}, awake for #{awake}"
  end

  private

  def awake
    minutes, seconds = (Process.clock_gettime(Process::CLOCK_MONOTONIC) - STARTED).to_i.divmod(60)
    "#{minutes} min #{seconds} s"
  end
end
