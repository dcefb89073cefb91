"""The channel groups of the networks of `tests.channel_networks`.

Behind the name of each network stand its groups: name, width, `no growth` where they can't grow, and all places as
tensor:axis, with +offset, *block, @repeats/period and =fill where they are not the usual ones.
"""

PINNED = """
inverted_residual
    stem 6
        stem:1 project:1 sum:1 stem.w:0 stem.b:0 expand.w:1 project.w:0 project.b:0 head.w:1
    expand 12
        expand:1 expand.a:1 deep:1 expand.w:0 expand.b:0 deep.w:0 deep.b:0 project.w:1
squeeze_and_excitation
    stem 8
        stem:1 pool:1 excite:1 gate:1 scaled:1 where:1 stem.w:0 stem.b:0 squeeze.w:1 excite.w:0 excite.b:0
        spatial.w:1 head.w:1
    squeeze 2
        squeeze:1 squeeze.a:1 squeeze.w:0 squeeze.b:0 excite.w:1
shuffled
    left 6
        left:1 right:1 joined:1@2/6 parts:2 turned:1 whole:1*2 left.w:0 left.b:0 right.w:0 right.b:0
        head.w:1*2
shuffled_groups
    first 2
        first:1@6/2 parts:2@3/2 turned:1@3/2 whole:1*2@3/4 deep:1*2@3/4 first.w:0@6/2 first.b:0@6/2
        deep.w:0*2@3/4 deep.b:0*2@3/4 second.w:1*2
dense_block
    stem 5
        stem:1 norm0:1 relu0:1 joined0:1 norm1:1 relu1:1 joined1:1 stem.w:0 stem.b:0 norm0.scale:0
        norm0.bias:0 norm0.mean:0 norm0.var:0=1 grow0.w:1 norm1.scale:0 norm1.bias:0 norm1.mean:0
        norm1.var:0=1 grow1.w:1 head.w:1
    grow0 4
        grow0:1 joined0:1+5 norm1:1+5 relu1:1+5 joined1:1+5 grow0.w:0 grow0.b:0 norm1.scale:0+5 norm1.bias:0+5
        norm1.mean:0+5 norm1.var:0+5=1 grow1.w:1+5 head.w:1+5
    grow1 4
        grow1:1 joined1:1+9 grow1.w:0 grow1.b:0 head.w:1+9
conv_gru
    conv 3
        conv:1 relu:1 rows:1*4 steps:2*4 conv.w:0 conv.b:0 g1.w:2*4
    g1 5
        g1:3 g1.last:2 g1.t:3 both:2@2/5 g1.w:1@3/5 g1.r:1@3/5 g1.r:2 g1.b:1@6/5 g2.w:2@2/5
    g2 4
        g2:3 g2.last:2 last:1 g2.w:1@3/4 g2.r:1@3/4 g2.r:2 g2.b:1@6/4 head.w:1
lstm
    l 4
        l:3 l.h:2 l.c:2 steps:2 sum:2 l.w:1@4/4 l.r:1@4/4 l.r:2 l.b:1@8/4 start:2 l.p:1@3/4 head.w:0
transformer
    embed 6 no growth
        embed:2 norm1:2 out:2 sum1:2 narrow:2 sum2:2 embed.w:1 n1.scale:0 n1.bias:0 qkv.w:0 out.w:1 wide.w:0
        narrow.w:1 head.w:0
    qkv 3
        qkv:2*2@3/6 qkv.sum:2*2@3/6 qkv.parts:3 qkv.t:2 q:2 k:2 v:2 q.s:1 k.s:1 v.s:1 k.t:1 products:1
        scores:1 mixed:1 mixed.t:2 merged:2*2 qkv.w:1*2@3/6 qkv.b:0*2@3/6 out.w:0*2
    wide 10
        wide:2 wide.a:2 wide.w:1 narrow.w:0
group_normalized
    first 4
        first:1*2 norm1:1*2 relu:1*2 first.w:0*2 first.b:0*2 n1.scale:0*2 n1.bias:0*2 second.w:1*2
    second 3
        second:1*2 rows:1 norm2:1 map:1*2 scaled:1*2 moved:1*2 second.w:0*2 second.b:0*2 ones:0 zeros:0
        n2.scale:0*2 n2.bias:0*2 head.w:1*2
flattened
    stem 3
        stem:1 deep:1*2 flat:1*18 last:3*2 rows:1*2@9/6 stem.w:0 stem.b:0 deep.w:0*2 deep.b:0*2 first.w:1*18
        other.w:1*2@9/6
    first 5
        first:1 slopes:1 first.w:0 first.b:0 slope:1 one.w:1
transposed
    stem 4
        stem:1 stem.w:0 stem.b:0 up.w:0
    up 3
        up:1@2/3 up.w:1@2/3 up.b:0@2/3 p.w:0@2/3
    parts 4
        parts:1@2/4 deep:1@2/4 p.w:1 p.b:0@2/4 d.w:0@2/4 many.w:1@2/4
    many 3
        many:1*4 space:1 many.w:0*4 many.b:0*4 more.w:1
    more 2
        more:1@4/2 space2:1 more.w:0@4/2 more.b:0@4/2 head.w:1
joined_and_cut
    a 4
        a:1 joined:1@2/7 a.w:0 a.b:0 gated.w:1@2/7
    gated 5
        gated:1@2/5 halves:1 halves.2:1 halves.a:1 gate:1 wider:1+1 b:1+1 sum:1+1 part:1 gated.w:0@2/5
        gated.b:0@2/5 b.w:0+1 b.b:0+1 head.w:1+1 head2.w:1
    wider[6:8] 2
        wider:1+6 b:1+6 sum:1+6 b.w:0+6 b.b:0+6 head.w:1+6
mixing
    mean 4 no growth
        mean:1 mean.w:0 mean.b:0
    softmax 4 no growth
        softmax:1 softmax.r:1 softmax.w:0 softmax.b:0 softmax.h.w:1
    lrn 4 no growth
        lrn:1 lrn.r:1 lrn.w:0 lrn.b:0 lrn.h.w:1
    log 4 no growth
        log:1 log.exp:1 log.r:1 log.w:0 log.b:0 log.h.w:1
    squares 4
        squares:1 squares.w:0 squares.b:0
    divisor 4 no growth
        divisor:1 divisor.exp:1 divisor.r:1 divisor.w:0 divisor.b:0 divisor.h.w:1
constants
    stem 5
        stem:1 norm:1 div:1 slopes:1 add:1 mul:1 half:1 stem.w:0 stem.b:0 norm.scale:0 norm.bias:0 norm.mean:0
        norm.var:0=1 divisor:0=1 slope:0 vector:1 head.w:1
"""
