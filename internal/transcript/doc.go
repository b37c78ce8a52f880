// Package transcript plays golden conversations with a job-queue server and
// says where the server departs from its part.
//
// A transcript is a text file that reads like a few telnet sessions side by
// side, and is meant to be read as documentation first. The same file is played
// against a live server over TCP and against the engine in virtual time; what
// differs between the two is a [Driver].
//
//	# A job is reserved by one worker and given back.
//	flags: -z 10                    how the server is to be started
//
//	boss> put 0 0 60 5              a client sends a line
//	boss> hello
//	boss< INSERTED 1                and is sent a line
//	work>> "res" "erve\r\n"         sends these bytes, and no line end
//	work< RESERVED 1 5
//	work| hello                     the lines of the reply's body
//	work<~ OK \d+                   a regular expression for the whole line
//	work| ...                       body lines not shown here
//	work|~ time-left: \d+           a regular expression for a body line
//	work|| "raw\x00body"            a body byte for byte
//	work<< "OK 14\r\n---\n"         bytes as they come, framing and all
//	work! shut                      half-closes: sends no more, still reads
//	work! close                     hangs up
//	work! eof                       the server has hung up
//	advance 1.2s                    time passes
//	signal USR1                     the server gets a signal
//	[spoked 1.13] boss< ...         a line for runs with both these tags
//
// The text to the right is not part of the notation: a comment is a line of its
// own that starts with #. Clients are named with lower-case letters and digits,
// connect when first mentioned, and may come back after a close or eof.
//
// Consecutive > lines of one client leave in one write, as a client that
// pipelines would send them; each >> is a write of its own. Where bytes are
// quoted, as Go strings, any number of them may follow each other, and "x"*65535
// repeats one.
//
// Nothing may arrive that the transcript does not mention: before every send,
// hang-up, advance and signal, and at the end, each client must have been shown
// all that it was sent. So "nothing has come yet" needs no line of its own.
//
// # Tags
//
// The tags in use say which server it is (spoked or beanstalkd), which version's
// replies it gives (1.12 or 1.13), and how it is driven (live or virtual). To
// know when a live server has settled takes a connection that the transcript
// does not know of: it has used and watched the tube default all the time, and
// counts in current-connections.
package transcript
