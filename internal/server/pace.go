package server

import "spoked/proto"

// pace lets a connection take turns with others as in beanstalkd, which in
// one turn sends a reply and executes the next command of those it has read,
// or reads up to a line's length and executes the first.
//
// The order in which two clients' commands are executed is nobody's business
// as long as it is not seen, and all that a client has sent is executed in one
// go. It is seen when a client has sent commands behind a reserve that waits.
// They come to be executed when another client puts a job, and that one may
// have sent more commands behind the put. Then these two take turns until one
// has run out of commands. So does a client that hangs up while it waits:
// the first reply that it does not take ends it, and not what it sent before.
type pace struct {
	window  int  // bytes that would have been read and not executed
	partial int  // of a line, executed neither
	reading bool // the turn is for reading, not for writing
}

// portion returns how much of size bytes of input there is to be fed in this
// turn. All of it, if it is the body of a put.
func (p *pace) portion(size int, body bool) int {
	if p.reading {
		p.window = proto.MaxLine - p.partial
		if body {
			p.window = size
		}
	}
	return min(p.window, size)
}

// used takes note that n bytes were fed, and so many commands executed.
func (p *pace) used(n, commands int) {
	p.window -= n
	p.reading = commands == 0
	if p.partial += n; commands > 0 || p.partial >= proto.MaxLine {
		p.partial = 0
	}
}
