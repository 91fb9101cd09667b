"""Generated scenes with exact depth, disparity and occlusion: no download, no asset files.

    room = living_room()  # or lamp_world(pieces, finishes, tiles, light)
    world = room.world(seed=0)
    camera = training_cameras(room, 24, (640, 480), seed=0)[0]
    view = render(world, camera, supersampling=2)  # light, image, depth, surface
    truth = stereo_truth(world, view, baseline=0.1)  # disparity, hidden, out_of_frame

`rooms.write.write_sample` writes a whole capture, `pairs.pair.sample_pair` makes a training pair.
"""
