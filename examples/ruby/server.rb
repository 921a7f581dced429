# A page that tells which dyno and release answered, with no more than Ruby's own library and the gem of this app.
require "socket"
require "greeting"

$stdout.sync = true

def answer(client)
  request = client.gets or return
  nil until ["\r\n", "\n", nil].include?(client.gets)
  body = "#{Greeting.new(ENV)}\n"
  client.write "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" \
               "Content-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}"
  puts request.chomp
rescue SystemCallError => e
  warn e.message
ensure
  client.close
end

server = TCPServer.new("0.0.0.0", Integer(ENV.fetch("PORT", "5000")))
# a stop lets the requests that have begun finish
trap("TERM") { server.close }
requests = []
begin
  loop do
    requests.select!(&:alive?)
    requests << Thread.new(server.accept) { |client| answer(client) }
  end
rescue IOError
  requests.each(&:join)
end
