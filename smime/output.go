package smime

import (
	"context"
	"errors"
	"io"
)

const copyBuffer = 64 << 10

// WriteContent copies content, such as [Message.Content], to dst. Of large content, reading and writing overlap.
func WriteContent(ctx context.Context, dst io.Writer, content *io.SectionReader) error {
	if content.Size() <= 2*backgroundBlock {
		return copyContext(ctx, dst, section(content))
	}
	beside := newBackground(dst)
	return errors.Join(copyContext(ctx, beside, section(content)), beside.Close())
}

// copyContext is io.Copy that ends with the context.
func copyContext(ctx context.Context, dst io.Writer, src io.Reader) error {
	size := int64(copyBuffer)
	if sized, ok := src.(interface{ Size() int64 }); ok { // little content needs no large buffer
		size = min(size, sized.Size()+1)
	}
	buf := make([]byte, size)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
