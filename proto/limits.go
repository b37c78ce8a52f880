package proto

// Limits of beanstalkd 1.13, and two of this server's own commands. All are inclusive: the limit itself is accepted.
const (
	// MaxLine is the longest command line in bytes, its CRLF included. It is
	// also the length of the blocks in which a longer line is thrown away.
	MaxLine = 224

	// MaxLongLine is the longest line of a delete-batch in bytes, its CRLF included:
	// there is room in it for MaxBatch ids.
	MaxLongLine = 24 << 10

	// MaxBatch is how many jobs a command of this server's own deals with at most.
	MaxBatch = 1000

	// MaxTubeName is the longest tube name in bytes.
	MaxTubeName = 200

	// MaxTimeout is the longest wait of reserve-with-timeout in seconds.
	MaxTimeout = 1<<31 - 1

	// DefaultMaxJobSize is the largest body in bytes, its CRLF excluded, unless
	// -z says otherwise. protocol.txt says "less than 2**16"; 65535 is accepted.
	DefaultMaxJobSize = 1<<16 - 1

	// LargestMaxJobSize is the most that -z can set, 1 GiB.
	LargestMaxJobSize = 1 << 30
)
