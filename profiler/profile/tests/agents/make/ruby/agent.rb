# CPU work for rbspy to profile.
require "digest"

def fibonacci(n)
  n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2)
end

def hashing
  digest = ""
  500.times { digest = Digest::SHA256.digest(digest) }
end

finish = Process.clock_gettime(Process::CLOCK_MONOTONIC) + Integer(ARGV.fetch(0))
while Process.clock_gettime(Process::CLOCK_MONOTONIC) < finish
  fibonacci(14)
  hashing
  (1..2000).map { |i| i.to_s }.sort
end
