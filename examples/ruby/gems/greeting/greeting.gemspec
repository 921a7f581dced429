Gem::Specification.new do |spec|
  spec.name = "greeting"
  spec.version = "1.0.0"
  spec.summary = "The words of the page"
  spec.authors = ["The app's own"]
  spec.files = ["lib/greeting.rb"]
end
