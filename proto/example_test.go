package proto_test

import (
	"fmt"

	"spoked/proto"
)

// A session: the first read ends in the middle of a body.
func ExampleDecoder() {
	reads := []string{
		"use mail\r\nput 1 0 60 5\r\nhe",
		"llo\r\ndelete x\r\n",
	}

	d := proto.Decoder{MaxJobSize: proto.DefaultMaxJobSize}
	var cmd proto.Command
	var body, out []byte
	for _, read := range reads {
		in := []byte(read)
		for len(in) > 0 {
			n, event := d.Next(in, &cmd)
			in = in[n:]
			switch event {
			case proto.Request:
				if cmd.Op == proto.OpUse {
					out = proto.AppendUsing(out, string(cmd.Tube))
				}
			case proto.Refused:
				out = append(out, cmd.Status.Reply()...)
			case proto.Chunk:
				body = append(body, cmd.Data...)
			case proto.BodyEnd:
				body = append(body, cmd.Data...)
				fmt.Printf("put pri %d ttr %d: %s\n", cmd.Pri, cmd.TTR, body)
				body = body[:0]
				out = proto.AppendInserted(out, 1)
			case proto.BadTrailer:
				body = body[:0]
				out = append(out, proto.ExpectedCRLF...)
			case proto.Oversized:
				out = append(out, proto.JobTooBig...)
			}
		}
	}
	fmt.Printf("%q\n", out)
	// Output:
	// put pri 1 ttr 60: hello
	// "USING mail\r\nINSERTED 1\r\nBAD_FORMAT\r\n"
}

func ExampleYAML() {
	y := proto.BeginYAML(nil)
	y.Item("default")
	y.Item("mail")
	fmt.Printf("%q\n", y.End())
	// Output: "OK 21\r\n---\n- default\n- mail\n\r\n"
}
